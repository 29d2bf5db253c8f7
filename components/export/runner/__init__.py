"""What goes with an export and scores with it: no module here imports anything of Linewright's but its neighbours."""
