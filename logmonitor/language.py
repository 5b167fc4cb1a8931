"""What an admin reads, in the admin's language: `gettext` over the catalogues in `locale/`."""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LANGUAGES: Final = ("en", "zh")
_CATALOGUES: Final = Path(__file__).parent / "locale"


@cache
def translation(language: str) -> Callable[[str], str]:
    """Return the function that turns an English text into `language`; English for one that has no catalogue.

    Use named placeholders and `.format` on the result, so that a translator may change their order.
    """
    return gettext.translation("logmonitor", _CATALOGUES, languages=[language], fallback=True).gettext
