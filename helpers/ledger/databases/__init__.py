"""What each kind of database needs: how it is opened, and what its troubles mean."""
