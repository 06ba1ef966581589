"""``sessionstore exec`` and ``sessionstore rerun``: record a program from outside, and run a session again.

Not here: how both are done (reruns).
"""

from __future__ import annotations

import sys

import click

from sessionstore.cli import output
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session
from sessionstore.cli.options import json_option, open_store, store_options

NOT_THE_SAME = 12


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--name", metavar="NAME", help="Name of the session (default: the program).")
@click.option("--input", "inputs", multiple=True, metavar="FILE", help="A file that it reads: SHA-256 and a copy.")
@click.option("--env", "environment", multiple=True, metavar="NAME", help="Keep the value of this variable.")
@click.option("--keep-diff", is_flag=True, help="Keep what differs from the commit as an artifact.")
@store_options
def exec_command(
    command: tuple[str, ...],
    name: str | None,
    inputs: tuple[str, ...],
    environment: tuple[str, ...],
    keep_diff: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Run a program, and record it as a session: `sessionstore exec -- python my_sim.py --seed 3`.

    Command, output, exit code and resources are kept. The program finds its session by
    sessionstore.current(). The exit code is the program's.
    """
    from sessionstore.reruns.programs import run_program

    with open_store(folder, index, create=True) as store:
        ended = run_program(store, command, name, inputs, environment, keep_diff)
    click.echo(f"{ended.session_id}: the program ended with {ended.exit_code}", err=True)
    sys.exit(ended.exit_code)


@click.command()
@click.argument("session", shell_complete=complete_sessions)
@click.option("--check", is_flag=True, help="Compare every stream but the clock; exit code 12 if one differs.")
@click.option("--at-commit", is_flag=True, help="Run the recorded commit, in a worktree and environment of its own.")
@click.option("--name", metavar="NAME", help="Name of the new session.")
@click.option("--dry-run", is_flag=True, help="List what is missing or has changed, and run nothing.")
@json_option
@store_options
def rerun_command(
    session: str,
    check: bool,
    at_commit: bool,
    name: str | None,
    dry_run: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Run a session again into a new one: a flight from its scenario, another program by its command."""
    from sessionstore.reruns.agreement import compare_streams
    from sessionstore.reruns.rerun import changes_since, rerun

    with open_store(folder, index) as store:
        first = find_session(store, session)
        changes = changes_since(first)
        for change in changes:
            click.echo(f"note: {change}", err=True)
        if dry_run:
            if as_json:
                output.print_json({"session_id": first.session_id, "changes": changes})
            return
        again = rerun(store, first, name, at_commit, sys.stderr if as_json else None)
        agreement = compare_streams(first, again) if check else None
        if agreement is not None:
            again.metadata["rerun_agrees"] = str(agreement)
    if as_json:
        difference = None if agreement is None or agreement.difference is None else agreement.difference._asdict()
        found = {"session_id": again.session_id, "rerun_of": first.session_id, "changes": changes}
        checked = {} if agreement is None else {"identical": agreement.identical, "difference": difference}
        output.print_json({**found, **checked})
    else:
        ended = "" if again.status == "completed" else f" ({again.status}: {again.record.end_reason})"
        click.echo(f"{again.session_id} is a rerun of {first.session_id}{ended}")
        if agreement is not None:
            click.echo(str(agreement))
    if agreement is not None and not agreement.identical:
        sys.exit(NOT_THE_SAME)
