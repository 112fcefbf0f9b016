"""Child processes that can read, write and use no more than they were given."""
