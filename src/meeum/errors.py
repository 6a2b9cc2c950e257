"""The two ways meeum says no: each message says where, what was given and what would work."""


class MeeumError(Exception):
    """Something could not be done with this data or on this machine (exit code 1)."""


class UsageError(MeeumError):
    """What was asked for cannot be asked: a setting, an option or a path is wrong (exit code 2)."""
