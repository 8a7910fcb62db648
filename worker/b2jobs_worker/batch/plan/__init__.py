"""Where items come from, how they are packed, and what is known of their places."""
