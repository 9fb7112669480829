"""Which avatars may be stopped when the journal cannot be asked whose they are."""

from services.runtime.callers.caller import Caller, acting_for
from services.task.lifecycle.off_air import KnownAvatars
from tests.support.journal import task

OF_ANN = task(1, avatar_id="avatar", tenant_id="acme", user_id="ann")


def known_to(avatars: KnownAvatars, tenant_id: str, user_id: str = "") -> str:
    """Return the avatar as a caller knows it."""
    with acting_for(Caller(tenant_id=tenant_id, user_id=user_id)):
        return avatars.of(OF_ANN.task_id)


def test_an_avatar_is_known_to_those_who_see_its_task() -> None:
    noted, listed = KnownAvatars(), KnownAvatars()
    noted.note(OF_ANN)
    listed.note_all([OF_ANN])
    for avatars in (noted, listed):
        assert known_to(avatars, "acme") == known_to(avatars, "acme", "ann") == "avatar"
        assert known_to(avatars, "acme", "bob") == known_to(avatars, "default") == ""
