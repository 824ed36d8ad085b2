"""The command line: flags -> options -> one library call -> text for people or JSON lines for scripts.

app        all commands; turns errors into messages and exit codes
batch      commands that run over many inputs;  train: `dacse train`;  commands: all others
options    options that several commands share;  settings: options from files and the environment
lazy       commands imported when they are called
helping    `--help` and `--help-all`;  usage: messages of usage errors
files      file and folder names -> recordings
render     bars, tables and JSON lines;  outlet: standard output that may be closed
"""
