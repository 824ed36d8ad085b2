"""The command line: flags -> options -> one library call -> what a person or a script sees.

One module per command. Besides:

    app        all commands; where an error becomes a message and an exit code
    options    options that several commands share;  settings: options from files and the environment
    helping    `--help` and `--help-all`;  usage: errors in what was typed
    launch     one batch run and its display;  reporting: its `--report`
    outputs    which path is the output;  files: recordings behind typed names;  pipes: `-`
    render     bars, tables and JSON lines;  outlet: standard output that may be closed
"""
