"""What the store is made of; nothing else imports sqlite3."""
