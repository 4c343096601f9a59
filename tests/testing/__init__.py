"""The toolkit for tests of users: rehearsals, the plugin of pytest, eager mode."""
