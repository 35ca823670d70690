"""Everything that is wrong with somebody's faces, found before a long run."""
