"""A studio job that your own worker drives, from its recording to the finished text."""

from handlers.studio import StudioJobsClient

USER = "7d444840-9dc0-11d1-b245-5ffdce74fad2"

with StudioJobsClient() as db:
    job = db.create_job(
        user_id=USER,
        raw_audio_url="https://example.com/talk.mp3",
        system_prompt="Write as our house does.",
        status=db.STATUS_TRANSCRIBING,
    )
    db.store_transcript(job["job_id"], "so um this is what was said")
    db.update_status(job["job_id"], db.STATUS_REFINING)
    done = db.store_refined_text(job["job_id"], "This is what was said.")
    print(done["status"], done["processing_time_ms"], "ms")

    for one in db.list_jobs(USER):
        print(one["created_at"], one["status"], one["refined_text"])
    print(db.statistics().by_status)
