"""One thread in which everything happens that may happen in a thread, told to whoever follows it."""

from machines.models.ids import ThreadId
from server.services import Services
from tests.server.threads import forking
from tests.support.client import Data, Identity
from tests.support.in_process import Caller


async def lived(services: Services) -> tuple[Caller, ThreadId]:
    """A co-author who followed the thread from its second entry on, and the thread; its runs are over but
    for one, and votes, an invitation, a link and a branch are open in it."""
    ann, ben, cid, dan = [await Caller(services).sign_in(Identity()) for _ in range(4)]
    await ann.get("set_name", name="Ann")
    opened = await ann.get("create_thread", name="Rivers", visibility="public")
    thread: Data = {"thread_id": opened["thread_id"]}
    await ann.get("get_thread", **thread)
    await ann.bring_in(ben, opened["thread_id"])
    first = await forking.asked(ann, thread, "What do rivers carry?")
    stumbled = await forking.asked(ann, thread, "STUMBLE: what else?")
    await ann.get("rename_thread", name="Streams", **thread)
    await ann.get("configure_thread", instructions="Be brief.", model=None, **thread)
    failed = await forking.asked(ann, thread, "FAIL at rivers")
    again = await ann.get("retry_run", run_id=failed["run_id"], **thread)
    await forking.over(ann, again["run_id"])
    edited = {"supersedes": failed["message_id"]}
    edit = await ann.get("submit_prompt", prompt="And lakes?", **edited, **thread)
    await forking.over(ann, edit["run_id"])
    stopped = await ann.get("submit_prompt", prompt="HOLD the river", **thread)
    await ann.get("cancel_run", run_id=stopped["run_id"], **thread)

    for text, votes in (("Lamps!", ["reject_message"]), ("Why?", ["approve_message"] * 2)):
        sent = await cid.get("submit_prompt", prompt=text, **thread)
        about = {"message_id": sent["message_id"], **thread}
        for voter, vote in zip((ann, ben), votes, strict=False):
            await voter.get(vote, **about)
    gone = await dan.get("submit_prompt", prompt="Never mind", **thread)
    await dan.get("withdraw_message", message_id=gone["message_id"], **thread)
    await dan.get("submit_prompt", prompt="May I?", **thread)
    for key in (dan.public_key, Identity().public_key):
        await ann.get("invite_co_author", public_key=key, **thread)
    await dan.get("decline_invitation", **thread)
    for _ in range(2):
        link = await ann.get("create_invite_link", **thread)
    await ann.get("revoke_invite_link", link_id=link["link"]["id"], **thread)
    ballot = {"public_key": cid.public_key, **thread}
    await ann.get("propose_removal", **ballot)
    await ben.get("vote_on_removal", decision="keep", **ballot)
    await ann.get("propose_removal", public_key=cid.public_key, **thread)

    change = {"kind": "step_text", "text": "Rivers carry stones."}
    adopted = await forking.fork(ann, thread, first, "action", change)
    branch = {"branch_id": adopted["branch_id"], **thread}
    await ann.get("propose_adoption", **branch)
    for voter in (ben, cid):
        await voter.get("vote_on_branch", decision="approve", **branch)
    await forking.fork(ann, thread, stumbled, "action", change)
    await ben.get("leave_co_authorship", **thread)
    await ann.get("submit_prompt", prompt="HOLD until later", **thread)
    return ann, ThreadId(opened["thread_id"])
