"""Numbers what several microphones of one conversation hear at the same time."""


class Numbering:
    """Gives each utterance the turn that it will make if those before it end in their order."""

    def __init__(self) -> None:
        self._under_way: list[object] = []

    def begin(self, microphone: object, *, next_turn_id: int) -> int:
        """Return the number of an utterance that begins at a microphone, which has one at most."""
        self.end(microphone)
        self._under_way.append(microphone)
        return next_turn_id + len(self._under_way) - 1

    def end(self, microphone: object) -> None:
        """The microphone's utterance, if any, has its turn, or will have none."""
        self._under_way = [each for each in self._under_way if each is not microphone]
