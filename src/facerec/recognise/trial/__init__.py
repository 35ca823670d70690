"""A page to try recognition on, served to this machine alone. It needs the package nicegui."""
