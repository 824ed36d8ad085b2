"""The command line: flags -> options -> one library call -> what a person or a script sees."""
