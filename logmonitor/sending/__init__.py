"""What the outbox is made of: letters, their lanes, what a chat allows, what is kept, what is recalled."""
