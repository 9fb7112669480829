"""Numbers utterances that several microphones of one conversation hear at the same time."""

import asyncio


class Numbering:
    """Gives each utterance its turn id, provided that they end in the order in which they begin."""

    def __init__(self) -> None:
        self._under_way: list[object] = []
        self.silence = asyncio.Event()
        """Set while there is none."""
        self.silence.set()

    def begin(self, microphone: object, *, next_turn_id: int) -> int:
        """Return the turn id of an utterance that begins; a microphone has one at a time."""
        self.end(microphone)
        self._under_way.append(microphone)
        self.silence.clear()
        return next_turn_id + len(self._under_way) - 1

    def end(self, microphone: object) -> None:
        """The microphone's utterance, if any, has become a turn, or never will."""
        self._under_way = [each for each in self._under_way if each is not microphone]
        if not self._under_way:
            self.silence.set()
