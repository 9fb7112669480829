"""`parley up`: runs the planned processes as one."""
