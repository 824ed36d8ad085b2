"""The command line: flags -> options -> one library call -> what a person or a script sees.

app        all commands; where an error becomes a message and an exit code
batch      commands that run over many inputs;  train: `dacse train`;  commands: all others
options    options that several commands share;  settings: options from files and the environment
lazy       commands imported when they are called
helping    `--help` and `--help-all`;  usage: errors in what was typed
files      recordings behind typed names
render     bars, tables and JSON lines;  outlet: standard output that may be closed
"""
