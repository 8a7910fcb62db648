"""What a report says, checked against what B2 lists."""
