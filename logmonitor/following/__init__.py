"""What a follower is made of: paths, their generations, and who watches over them."""

from __future__ import annotations
