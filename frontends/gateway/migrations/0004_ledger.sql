-- Of what is settled, what no usage record says: carried in from the window before; below zero when an operator set it
-- back. What is left is what the window's records say.
ALTER TABLE sg_balance ADD COLUMN carried BIGINT NOT NULL DEFAULT 0;
