"""`parley certificates`: what it issues is what services take, also while they run."""

import stat
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parley.__main__ import app
from parley.certificates.issuing import issue, tls_settings
from services.runtime.security.identities import Identity, tls_variables
from services.runtime.security.tls import Tls, TlsFiles
from tests.support.metrics import sample


def files_of(folder: Path, identity: Identity) -> TlsFiles:
    settings = tls_settings(folder)
    certificate, key, authorities = (Path(settings[name]) for name in tls_variables(identity))
    return TlsFiles(certificate=certificate, key=key, authorities=authorities)


def test_every_service_takes_its_certificate_and_its_renewal(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    assert {each.parent.name for each in issue(folder)} == set(Identity)
    services = [
        Tls(files_of(folder, each), each) for each in Identity if each is not Identity.OPERATOR
    ]
    before = [each.current() for each in services]
    issue(folder)
    after = [each.current() for each in services]
    for old, new in zip(before, after, strict=True):
        assert old.key != new.key
        assert old.authorities == new.authorities
    expiry = sample("parley_certificate_expiry_seconds", identity="task")
    assert expiry is not None
    assert 89 < (expiry - time.time()) / 86_400 <= 90
    keys = list(folder.rglob("*.key"))
    assert len(keys) == len(Identity) + 1
    assert {stat.S_IMODE(each.stat().st_mode) for each in keys} == {0o600}


def test_a_broken_authority_is_told(tmp_path: Path) -> None:
    issue(tmp_path)
    (tmp_path / "authority.key").write_text("nothing")
    told = CliRunner().invoke(app, ["certificates", str(tmp_path)])
    assert told.exit_code == 1
    with pytest.raises(ValueError, match="hold no authority of ours"):
        issue(tmp_path)
