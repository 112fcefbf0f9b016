-- Supabase Realtime can carry the wakes, beside NOTIFY or in its place. The table has a row for each attached table.
-- squawk-ignore ban-drop-constraint
alter table listener.attachment drop constraint attachment_wake_check;
-- squawk-ignore constraint-missing-not-valid
alter table listener.attachment add constraint attachment_wake_check check (wake in ('notify', 'realtime', 'both', 'none'));
