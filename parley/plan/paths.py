"""Where this checkout is, and what its runs leave there."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROCFILE = ROOT / "Procfile"
VAR = ROOT / "var"
"""What runs of this checkout leave behind and share."""
