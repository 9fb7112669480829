#!/usr/bin/env bash
# Installs Chromium from the system's packages, unless it is present.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then
    exit 0
  fi
done
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "The browser tests need Chromium: install it, for example: sudo apt-get install chromium" >&2
  exit 1
fi
echo "Installing Chromium"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null
