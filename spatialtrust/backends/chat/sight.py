"""Looking at pictures for many questions, side by side: tried before it is relied on.

Whether a model's questions can share their picture is not looked up but tried: the first question
is also asked alone, by the library's own pass over the whole prompt. In the same way it is tried,
once there are several, whether pictures can go through a pass side by side.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends.batching import exhausted
from spatialtrust.backends.chat.prefix import NotSharedError, Seen, before, go_on, kind, see
from spatialtrust.backends.packing import plant

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from spatialtrust.backends.batching import Budget
    from spatialtrust.backends.chat.loaded import Loaded
    from spatialtrust.backends.chat.prefix import Inputs
    from spatialtrust.backends.known import Tokens

log: Final = logging.getLogger("spatialtrust")

_SAME: Final = {"float32": 0.01, "bfloat16": 0.5, "float16": 0.5}
"""How far two ways to the same log-probabilities may be apart."""


class Sight:
    """How a chat model looks at pictures.

    Attributes
    ----------
    shared: whether questions share their picture; None: not tried yet.
    together: whether pictures share a pass; None: not tried yet.
    """

    def __init__(self, loaded: Loaded, budget: Budget, probe: Tokens) -> None:
        self.loaded, self.budget, self._probe = loaded, budget, probe
        self.shared: bool | None = None
        self.together: bool | None = None

    def look(self, prompts: Sequence[Inputs]) -> list[Seen]:
        """One pass for as many pictures as are of one kind and fit.

        Parameters
        ----------
        prompts: whole ones with the probe behind the picture, on the model's device.

        Raises
        ------
        NotSharedError: questions cannot share their picture.
        """
        starts = [before(prompt, self._probe) for prompt in prompts]
        kinds: dict[Any, list[int]] = defaultdict(list)
        for place in sorted(range(len(starts)), key=lambda n: starts[n]["input_ids"].shape[1]):
            kinds[kind(starts[place])].append(place)
        found: dict[int, Seen] = {}
        for members in kinds.values():
            cost = max(self.loaded.cost(prompts[place]) for place in members)
            size = max(1, int(self.budget.memory // cost))
            for first in range(0, len(members), size):
                places = members[first : first + size]
                seen = self._see([starts[n] for n in places], [prompts[n] for n in places])
                found.update(zip(places, seen, strict=True))
        return [found[place] for place in range(len(prompts))]

    def _see(self, starts: Sequence[Inputs], prompts: Sequence[Inputs]) -> list[Seen]:
        """Pictures of one kind, the shortest prompt first."""
        why: NotSharedError | None = None
        if len(starts) > 1 and self.together is not False:
            try:
                seen = self._pass(starts, prompts, tried=self.together is True)
            except NotSharedError as error:
                why = error
            else:
                self.together = self.shared = True
                return seen
        seen = []
        for start, prompt in zip(starts, prompts, strict=True):
            seen += self._pass([start], [prompt], tried=self.shared is True)
            self.shared = True
        if why is not None:
            log.warning("looking at one picture at a time: %s", why)
            self.together = False
        return seen

    def _pass(
        self, starts: Sequence[Inputs], prompts: Sequence[Inputs], *, tried: bool
    ) -> list[Seen]:
        """One pass; if that was not tried before, a question about the first picture in both ways.

        Raises
        ------
        NotSharedError: they differ, or the model cannot do it so.
        """
        if tried:
            return see(self.loaded.model, starts)
        alone = self.loaded.forward(prompts[0], 1)[0]  # a picture that cannot be seen fails here
        try:
            seen = see(self.loaded.model, starts)
            ours = self._first_reply(seen)
        except NotSharedError:
            raise
        except Exception as error:  # whatever an architecture that is not built so raises
            if exhausted(error):
                raise
            raise NotSharedError(f"it cannot be asked behind what it has seen ({error})") from error
        ids = [*self.loaded.spellings.yes, *self.loaded.spellings.no]
        apart = (ours.float().log_softmax(-1)[ids] - alone.float().log_softmax(-1)[ids]).abs().max()
        if not float(apart) <= _SAME[str(self.loaded.dtype).removeprefix("torch.")]:
            raise NotSharedError(f"shared and alone its log-probabilities differ by {apart:.2g}")
        return seen

    def _first_reply(self, seen: Sequence[Seen]) -> torch.Tensor:
        """Logits of the reply to the probe about the first picture.

        It is asked among other texts and, if there are several pictures, beside the last of them.
        """
        probe = self._probe
        tree = plant([probe, (*probe[:-1], probe[0]), probe[: len(probe) // 2]], 10_000)[0]
        leaf = tree.leaves[tree.sequences == 0]
        pair = [seen[0], *seen[1:][-1:]]
        return go_on(self.loaded.model, pair, [tree] * len(pair), [leaf] * len(pair))[0][0]
