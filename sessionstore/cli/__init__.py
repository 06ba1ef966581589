"""The command line: ``sessionstore COMMAND``; data on stdout, words for people on stderr.

Each command is imported when it is called, so that ``list`` and ``--help`` start quickly. A failure is one sentence and
an exit code by the class of the error (:data:`EXIT_CODES`), never a trace: SESSIONSTORE_DEBUG=1 shows it.
Not here: what the commands do (the modules beside this one).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from sessionstore import __version__, errors

#: Where each command lives, and what it says of itself in the overview.
COMMANDS = {
    "run": ("run:run", "Fly a simulated fleet and record it as a session."),
    "sql": ("sql:sql_command", "Answer a SELECT over all sessions, or ask at a prompt."),
    "columns": ("columns_cache:columns_command", "Keep streams of ended sessions as Parquet, for quick questions."),
    "training": ("training:training", "Print the decisions of all sessions as a data set."),
    "exec": ("rerun:exec_command", "Run a program, and record its command, output and exit code."),
    "rerun": ("rerun:rerun_command", "Run a session again, and compare both."),
    "compare": ("compare:compare_command", "Say what differs between sessions: parameters, figures, paths."),
    "sweep": ("sweep:sweep", "Run one program with many sets of parameters, each a session."),
    "scenarios": ("run:scenarios", "List the ready scenarios."),
    "world": ("world:world", "Report what a city file holds, and draw its plan."),
    "list": ("list:list_command", "List sessions: filters, sorting, columns, JSON."),
    "show": ("show:show", "Show one session: record, drones, phases, streams."),
    "info": ("show:info", "Show the session in a folder anywhere."),
    "tail": ("tail:tail", "Print the end of a stream, and follow it."),
    "set": ("set:set_command", "Change name, tags, notes or metadata."),
    "delete": ("trash:delete", "Move sessions to the trash."),
    "restore": ("trash:restore", "Bring a session back from the trash."),
    "trash": ("trash:trash", "List or empty the trash."),
    "quarantine": ("quarantine:quarantine", "List, restore and remove the bytes that repairs took away."),
    "rebuild": ("trash:rebuild", "Rebuild the index from the folders."),
    "doctor": ("maintenance:doctor", "Check the store: what is wrong, why it matters, what repairs it."),
    "verify": ("maintenance:verify", "Read sessions or a bundle whole; --as-if-moved: also as on another machine."),
    "history": ("maintenance:history", "Show the changes of people: edits, deletions, merges."),
    "undo": ("maintenance:undo", "Undo a change."),
    "import-legacy": ("legacy:import_command", "Read folders of the old system into sessions."),
    "export-legacy": ("legacy:export_command", "Write sessions in the layout of the old system."),
    "import": ("foreign:import_command", "Import files of other programs: flight logs, bags, tables."),
    "formats": ("formats:formats_command", "List the formats that can be imported and exported."),
    "seal": ("seal:seal_command", "Compress the streams of ended sessions: a sixth of the disk."),
    "unseal": ("seal:unseal_command", "Make sealed streams plain again."),
    "migrate": ("engines:migrate", "Move the index to another engine and make the store use it."),
    "engines": ("engines:engines", "Show the engine that serves the store, and the stores that share it."),
    "merge": ("moving:merge_command", "Take the sessions of other stores, folders and bundles into this one."),
    "pack": ("moving:pack_command", "Write sessions to one file with checksums."),
    "unpack": ("moving:unpack_command", "Take the sessions of such a file."),
    "push": ("remote:push_command", "Send sessions to a store behind a URL."),
    "pull": ("remote:pull_command", "Take sessions from a store behind a URL."),
    "serve": ("serve:serve", "Serve the HTTP API, the web page and the live simulation."),
    "export": ("export:export", "Write sessions as an offline page, a zip, or a file of another program."),
    "shim": ("shim:shim", "Write files that let programs with the old import paths go on."),
    "bench": ("bench:bench", "Measure engines, the limit and peers, in one run."),
    "docs": ("docs:docs", "Show a page of the documentation."),
    "completion": ("completion:completion", "Print the shell completion for bash, zsh or fish."),
}

#: The exit code of each class of error; a class without its own has that of its nearest base.
EXIT_CODES: dict[type[BaseException], int] = {
    errors.SessionStoreError: 1,
    errors.NotApplied: 1,
    errors.SessionNotFound: 3,
    errors.SessionGone: 3,
    errors.StoreNotFound: 3,
    errors.AmbiguousSession: 4,
    errors.Conflict: 5,
    errors.InvalidName: 6,
    errors.InvalidRecord: 6,
    errors.InvalidQuery: 6,
    errors.IllegalTransition: 6,
    errors.TimeOrderError: 6,
    errors.LockTimeout: 7,
    errors.StoreUnusable: 8,
    errors.UnsafeFilesystem: 8,
    errors.ReadOnlyStore: 8,
    errors.StreamClosed: 8,
    errors.Unreadable: 9,
    errors.Corrupt: 9,
    errors.NewerFormat: 9,
    errors.UnsafeFile: 9,
    errors.OutcomeUnknown: 10,
    errors.IndexUnavailable: 11,
    errors.RemoteUnavailable: 11,
    errors.RemoteRefused: 11,
}


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error, from the nearest class in the table."""
    return next((EXIT_CODES[each] for each in type(error).__mro__ if each in EXIT_CODES), 1)


class PipeClosed(Exception):
    """The reader of stdout has ended; click would make exit code 1 of a BrokenPipeError."""


class LazyGroup(click.Group):
    """A group that imports a command only when it is called."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()  # here a closed pipe is noticed, not at exit
            return found
        except BrokenPipeError as error:
            raise PipeClosed from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"sessionstore.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sessionstore")
def group() -> None:
    """A flight recorder for simulation fleets: record, find and replay sessions.

    The store is --dir, else SESSIONSTORE_DIR, else the nearest store in this folder or above it, else
    ./training_sessions.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run a command line and exit with its code."""
    from sessionstore.cli.output import prepare_streams, restart_in_utf8, without_escapes

    if arguments is None:
        restart_in_utf8()
    prepare_streams()
    try:
        with _hangup_as_termination():
            group.main(
                arguments, prog_name="sessionstore", standalone_mode=False, color=False if without_escapes() else None
            )
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except SystemExit:
        _flush_or_drop()
        raise
    except (BrokenPipeError, PipeClosed):  # the reader of the pipe has ended: not an error
        _drop_output()
        sys.exit(0)
    except errors.SessionStoreError as error:
        if os.environ.get("SESSIONSTORE_DEBUG"):
            raise
        from sessionstore.cli.text import shown

        click.echo(f"{type(error).__name__}: {shown(str(error))}", err=True)
        sys.exit(exit_code(error))
    except OSError as error:  # a file outside the store that a command reads or writes
        if os.environ.get("SESSIONSTORE_DEBUG"):
            raise
        click.echo(f"{error.strerror or error}: {error.filename or 'output'}", err=True)
        sys.exit(exit_code(errors.StoreUnusable()))


def _drop_output() -> None:
    """Send what is still buffered for a closed pipe to nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            os.dup2(nowhere, stream.fileno())


def _flush_or_drop() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        sys.exit(0)


@contextmanager
def _hangup_as_termination() -> Iterator[None]:
    """Treat SIGHUP (a closed terminal) as SIGTERM while a command runs, unless nohup ignores it."""
    import signal
    import threading

    number = getattr(signal, "SIGHUP", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return
    signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)
