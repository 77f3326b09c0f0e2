"""A data folder that is put back from a backup: its clients are told, and read anew."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from storage.journal.sqlite import JOURNAL_FILE
from tests.support.client import Identity, connected, signed_in
from tests.support.served import ServerProcess, served


def back_up(server: ServerProcess, backup: Path) -> None:
    """Copy the journal of a running server, as docs/operations.md has it."""
    with closing(sqlite3.connect(server.data / JOURNAL_FILE)) as journal:
        journal.execute("VACUUM INTO ?", (str(backup),))


def put_back(server: ServerProcess, backup: Path) -> None:
    """A data folder of the backup alone, as docs/operations.md has it."""
    shutil.rmtree(server.data)
    server.data.mkdir(mode=0o700)
    shutil.copy(backup, server.data / JOURNAL_FILE)


async def test_a_restored_store_voids_what_its_clients_remember(tmp_path: Path) -> None:
    backup = tmp_path / "backup.sqlite3"
    identity = Identity()
    async with served(tmp_path) as server:
        async with signed_in(server.url, identity) as alice:
            thread_id = await alice.new_thread(name="Kept")
            back_up(server, backup)
            await alice.ask("rename_thread", thread_id=thread_id, name="Lost")
            await alice.event(thread_id, "thread_renamed")
            assert alice.followed is not None
            seen = alice.followed.seq
            old_epoch = alice.frames[0]["data"]["epoch"]

            code, said, errors = await server.command("verify", "--restored")
            assert (code, said) == (1, ""), "a running server's epoch must not change under it"
            assert errors.count("\n") == 1
            assert "in use by another chorus process" in errors

        assert await server.stop() == 0
        put_back(server, backup)
        code, said, errors = await server.command("verify", "--repair", "--restored")
        assert (code, errors) == (0, ""), said
        assert "new epoch" in said
        await server.start()

        async with connected(server.url) as again:
            # It may have been signed out after the backup was made.
            refused = await again.refusal("resume", token=alice.token)
            assert refused.code == "auth_failed"
            await again.sign_in(identity)
            epoch = again.frames[0]["data"]["epoch"]
            assert epoch != old_epoch, "hello must tell that the store is another one"
            # The numbers alone would fit again: another entry takes the one that was lost.
            await again.ask("rename_thread", thread_id=thread_id, name="Another")
            stale = await again.refusal(
                "get_thread", thread_id=thread_id, after_seq=seen, epoch=old_epoch
            )
            assert stale.code == "conflict"
            snapshot = await again.follow(thread_id, after_seq=0, epoch=epoch)
            assert (snapshot["thread"]["name"], snapshot["head_seq"]) == ("Another", seen)


async def test_a_check_alone_leaves_the_epoch_as_it_is(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        async with connected(server.url) as before:
            epoch = before.frames[0]["data"]["epoch"]
        assert await server.stop() == 0
        code, said, errors = await server.command("verify", "--repair")
        assert (code, errors) == (0, ""), said
        await server.start()
        async with connected(server.url) as after:
            assert after.frames[0]["data"]["epoch"] == epoch
