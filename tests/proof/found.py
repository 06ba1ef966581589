"""What the proof found in our own code, and in itself: the fault, what broke, and the test that keeps it repaired."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parents[2]


class Found(NamedTuple):
    """One bug: what went wrong, what showed it, where its test is (``file::test``)."""

    bug: str
    shown_by: str
    test: str


_STATES, _CALLS, _RACES, _DAMAGE = (
    f"tests/proof/test_{name}.py" for name in ("crash_states", "syscalls", "races", "damage")
)
_WITHIN = f"{_STATES}::test_a_power_cut_within_an_operation_leaves_before_or_after"
_ERRORS = f"{_CALLS}::test_an_error_at_any_syscall_of_any_operation_is_told_and_leaves_before_or_after"

IN_OUR_CODE = (
    Found("a power cut while the trash was emptied left half an entry that could be restored", "crash states", _WITHIN),
    Found("after it the row of a deleted session came back as a missing one", "crash states", _WITHIN),
    Found("bare OSErrors of open, stat, listdir and flock reached the caller instead of typed ones", "errors", _ERRORS),
    Found("a transient read error made a session unreadable for good", "errors", _ERRORS),
    Found("an error within a block left the index locked for its process", "errors", _ERRORS),
    Found(
        "a sim_time of 400 digits stopped every reader of its stream",
        "fuzzed lines",
        "tests/proof/test_fuzz.py::test_any_bytes_are_a_line_or_a_damage",
    ),
    Found(
        '`"format": true` was taken for a format number',
        "damaged files",
        f"{_DAMAGE}::test_a_broken_format_file_is_told_and_left_alone",
    ),
    Found(
        "a lock folder removed by hand stopped every later write of the process",
        "hands",
        f"{_DAMAGE}::test_a_lock_file_that_was_deleted_costs_nothing",
    ),
    Found(
        "a journal rewritten twice got its old inode back and was taken for the one a reader knew",
        "forced order",
        f"{_RACES}::test_a_journal_that_was_rewritten_twice_is_not_taken_for_the_one_a_reader_knows",
    ),
    Found(
        "what followed a compaction in the same exclusive block was lost",
        "forced order",
        f"{_RACES}::test_what_follows_a_compaction_in_one_exclusive_block_is_kept",
    ),
    Found(
        "a listing showed a session that was in the trash, left one out that was restored, or called it missing, when "
        "a row came late",
        "processes that delete, restore and list",
        f"{_RACES}::test_a_row_that_comes_after_its_session_was_deleted_is_not_listed",
    ),
    Found(
        "two states of one size within one tick of the clock looked the same",
        "forced order",
        f"{_RACES}::test_two_states_of_one_size_in_one_tick_of_the_clock_are_told_apart",
    ),
    Found(
        "an edit by hand during an update was overwritten",
        "forced order",
        f"{_RACES}::test_an_edit_by_hand_during_an_update_is_not_lost",
    ),
    Found(
        "a forked child waited for ever for a lock that a thread of its parent had held",
        "forced order",
        f"{_RACES}::test_a_child_goes_on_though_a_thread_of_the_parent_held_every_lock_at_the_fork",
    ),
    Found(
        "a listing showed a state older than one already acknowledged, while a stopped writer's row came late",
        "kills and stops",
        f"{_RACES}::test_a_row_that_comes_late_makes_no_listing_older_than_what_was_acknowledged",
    ),
    Found(
        "a folder renamed in two steps, or not readable at its first look, stayed listed as missing for good",
        "errors within a repair",
        f"{_RACES}::test_a_missing_session_that_comes_back_under_another_name_is_listed_once",
    ),
    Found(
        "Ctrl-C within microseconds of getting the lock of an append kept it locked for every other process",
        "interrupts at each syscall",
        f"{_CALLS}::test_a_process_interrupted_by_ctrl_c_at_any_syscall_keeps_no_lock_and_works_on",
    ),
    Found(
        "after the clock was set back, restore brought the session that was deleted first",
        "clocks",
        "tests/store/test_trash.py::test_the_one_deleted_last_comes_back_though_the_clock_was_set_back_meanwhile",
    ),
    Found(
        "and undo took back an older change than the last",
        "clocks",
        "tests/store/test_history.py::test_the_newest_change_is_the_one_made_last_though_the_clock_was_set_back",
    ),
    Found(
        "a program that ended within 200 ms of an append left it to the system to sync, some day",
        "a reading of promise against code",
        "tests/session/test_stream_writers.py::test_a_program_that_ends_without_closing_has_synced_what_it_appended",
    ),
    Found(
        "restoring a session removed what a hand had put beside it in the trash",
        "hands",
        "tests/store/test_trash.py::test_restoring_leaves_what_a_hand_put_beside_the_session_in_the_trash",
    ),
    Found(
        "an import that wrote one file for more than ten minutes was swept away as left behind",
        "clocks",
        "tests/store/test_trash.py::test_staging_that_is_still_being_written_is_not_taken_for_left_behind",
    ),
    Found(
        "what was deleted while the clock was ahead stayed in the trash when it was emptied whole",
        "clocks",
        "tests/store/test_trash.py::test_the_trash_is_emptied_whole_though_the_clock_was_ahead_when_it_was_filled",
    ),
    Found(
        'a record\'s own key "nan" was covered by the count of its values that are no numbers',
        "hostile values",
        "tests/session/test_streams.py::test_a_key_that_is_called_nan_is_the_programs_own_and_is_kept",
    ),
    Found(
        "what was appended to a session appeared in a copy made of hard links (cp -al)",
        "copies",
        "tests/session/test_stream_writers.py::test_a_file_that_another_folder_shares_by_a_hard_link_is_never_appended_to",
    ),
    Found(
        "after a store was moved, its listing named the old place of a broken session",
        "copies",
        "tests/store/test_copied_folders.py::test_nothing_in_a_store_names_its_place",
    ),
    Found(
        "one number of 400 digits, a sim_time of 1e300 or a date of the year 1 in an old folder ended the import",
        "mutated old folders",
        "tests/proof/test_fuzz.py::test_mutated_old_folders_are_imported_or_reported",
    ),
    Found(
        "an SQLite file that two made at once was taken for the database of another program, or refused as locked",
        "many threads on a loaded machine",
        "tests/index/test_sqlite_outages.py::test_a_file_that_another_makes_meanwhile_is_not_taken_for_that_of_another_program",
    ),
    Found(
        "a store that was closed while another thread chose an id let it go on with a closed descriptor",
        "a reading that tried to lose data",
        "tests/store/test_id_reservations.py::test_a_handle_that_is_closed_while_another_thread_chooses_an_id_costs_no_session",
    ),
    Found(
        "a folder or a busy file among the claims refused every create of the command line; a signal handler that "
        "closed the store waited for itself",
        "a reading that tried to lose data",
        "tests/store/test_id_reservations.py::test_hands_in_the_claims_stop_no_creator",
    ),
    Found(
        "'scan' twice and then 'Scan-2' gave two sessions that macOS and Windows take for one folder",
        "claims of names that end like a number",
        "tests/store/test_id_reservations.py::test_a_name_that_ends_like_a_number_gets_an_id_that_no_file_system_takes_for_another",
    ),
    Found(
        "a session whose trash was emptied before its writer told the index was listed as missing for ever",
        "forced order",
        "tests/proof/test_late_rows.py::test_a_row_that_comes_after_the_trash_was_emptied_is_never_listed",
    ),
    Found(
        "beside a session that could not be read, or behind an index made anew, a late row was believed",
        "forced order",
        "tests/proof/test_late_rows.py::test_a_row_that_comes_late_is_seen_through_whatever_else_is_wrong",
    ),
    Found(
        "listing a store that was moved away made its folder anew; one missing folder made each listing take a lock",
        "hands",
        "tests/proof/test_late_rows.py::test_listing_a_store_that_was_moved_away_does_not_make_it_anew",
    ),
    Found(
        "the lock of a killed parent lived on in a child that did nothing",
        "kills with an idle pool",
        f"{_RACES}::test_who_is_killed_with_a_lock_frees_it_though_a_child_that_does_nothing_lives_on",
    ),
    Found(
        "a text of class Colour(str, Enum) was stored as its name",
        "odd values",
        "tests/store/test_store.py::test_text_of_a_class_of_its_own_is_stored_as_the_text_that_it_is",
    ),
    Found(
        "a child that took the store lock which its parent knew got a bare RuntimeError of filelock",
        "forks with threads",
        "tests/disk/test_locks.py::test_a_forked_child_takes_the_store_lock_that_its_parent_knows_and_never_beside_it",
    ),
    Found(
        "Ctrl-C left the store lock held by its process with filelock older than 4.2.1; such versions are refused",
        "interrupts with the oldest core packages",
        "tests/disk/test_locks.py::test_ctrl_c_right_after_the_system_gave_the_store_lock_leaves_it_free_for_others",
    ),
    Found(
        "a damaged note of when files were compared ended every listing",
        "damaged columns",
        "tests/proof/test_columns.py::test_an_instant_of_comparing_that_no_clock_has_ends_no_listing",
    ),
    Found(
        "columns with right checksums and sections of other sizes, of another program, raised a bare error",
        "damaged columns",
        "tests/proof/test_columns.py::test_columns_of_another_byte_order_version_or_count_are_made_anew",
    ),
    Found(
        "a block of columns that changed after its first check was believed when it was read again",
        "a reading that tried to get a wrong page",
        "tests/index/test_columns.py::test_a_block_that_changes_after_it_was_checked_is_noticed_when_it_is_read_again",
    ),
)
IN_THE_HARNESS = (
    Found(
        "a power cut let the process live on, and XFS told its next fsync that all was well",
        "a lost acknowledgement that was none",
        "tests/proof/test_power.py::test_a_power_cut_loses_nothing_that_was_acknowledged",
    ),
    Found(
        "the search for an order remembered every state that it had seen, until memory ran out",
        "a quiet machine, where histories are long",
        "tests/proof/test_processes.py::test_the_search_says_what_trying_every_order_says",
    ),
)


def markdown() -> str:
    """Return both lists as Markdown."""
    parts = []
    for title, bugs in (("our own code", IN_OUR_CODE), ("the harness itself", IN_THE_HARNESS)):
        parts += [f"Found in {title}, each kept as a test:\n"]
        parts += [f"- {each.bug} ({each.shown_by}; `{each.test.partition('::')[0]}`)" for each in bugs]
        parts += [""]
    return "\n".join(parts).rstrip()
