"""Other systems, by injected failures: what is missing there is left out, and nothing fails of it."""

import resource
import signal

import pytest

from dacse_cli import platform


def test_a_limit_that_the_system_refuses_is_left_out(monkeypatch):
    """macOS answers `RLIMIT_AS` with a ValueError: every input failed there."""

    def refuse(*_):
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert platform.limit("RLIMIT_AS", 1 << 40) is False
    assert platform.limit("RLIMIT_NOTHING", 1) is False


def test_a_system_without_limits(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "resource", None)
    assert platform.limit("RLIMIT_CORE", 0) is False


@pytest.mark.parametrize("name", ["SIGKILL", "SIGHUP"])
def test_a_system_without_a_signal(monkeypatch, name):
    """Windows has neither; asking for one was an AttributeError where a worker had died."""
    number = getattr(signal, name)
    monkeypatch.delattr(signal, name)
    assert platform.how_it_ended(-9) == "was killed, most likely because memory ran out"
    assert platform.how_it_ended(3) is None
    platform.end_with_parent.__doc__.index("Linux only")
    assert number not in platform.stop_signals() or name == "SIGKILL"
    with platform.handling_stop_signals(print):
        pass


def test_how_a_process_ended():
    assert platform.how_it_ended(-signal.SIGSEGV) == "crashed (SIGSEGV)"
    assert platform.how_it_ended(-200) == "crashed (signal 200)"


def test_other_systems_end_children_by_their_pipes(monkeypatch):
    monkeypatch.setattr(platform.sys, "platform", "darwin")
    platform.end_with_parent(1)  # would end this process on Linux
