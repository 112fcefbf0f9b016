// The two public values from the API settings of the project.
window.config = { url: 'https://YOUR-PROJECT.supabase.co', key: 'sb_publishable_…' }
