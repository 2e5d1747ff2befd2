"""The agent: it takes issues, has Claude Code work on them, and opens pull requests."""
