-- How often in a row the table has refused the claim or the end of a job by an error that may pass with time.

alter table listener.delivery add column refusals int not null default 0;
