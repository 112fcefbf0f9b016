-- Preset: browsers may insert, cancel and retry exports, and write nothing that the service writes. Run it after the preset
-- export_jobs; `select listener.unguard('export');` undoes it.

select listener.guard('export', columns => '{download_url}');
