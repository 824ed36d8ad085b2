"""The command `dacse`, also as `python -m dacse_cli`."""

import signal


def main() -> None:
    """Run the command. Ctrl-C before its signal handlers are set ends the process without a message."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dacse_cli.cli.app import main as command

    command()


if __name__ == "__main__":
    main()
