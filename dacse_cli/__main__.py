"""The command `dacse`, also as `python -m dacse_cli`."""

import signal


def main() -> None:
    """Run the command. Ctrl-C before it has set its handlers ends the process at once, without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dacse_cli.cli.app import main as command

    command()


if __name__ == "__main__":
    main()
