"""How secrets are stored: encrypted where the deployment has a key for it."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_PLAIN = b"plain:"
_ENCRYPTED = b"fernet:"


class UnreadableSecret(Exception):
    """A secret was encrypted by a key that is not known any more."""


class Vault:
    """Encrypts with the first of its Fernet keys and reads with any; without one it does not."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def seal(self, secret: bytes) -> bytes:
        """Return a secret as it is to be stored."""
        if self._fernet is None:
            return _PLAIN + secret
        return _ENCRYPTED + self._fernet.encrypt(secret)

    def unseal(self, stored: bytes) -> bytes:
        """Return a secret that was stored. Raises `UnreadableSecret`."""
        if stored.startswith(_PLAIN):
            return stored.removeprefix(_PLAIN)
        if self._fernet is None:
            raise UnreadableSecret
        try:
            return self._fernet.decrypt(stored.removeprefix(_ENCRYPTED))
        except InvalidToken:
            raise UnreadableSecret from None


def is_vault_key(text: str) -> bool:
    """Return whether a text is a key of a vault: 32 bytes in URL-safe base64."""
    try:
        Fernet(text)
    except ValueError:
        return False
    return True
