"""The helper modules of the lessons; no module here is used outside its lesson.

00 start here                 start_here
01 frosting                   frosting
02 downloads                  downloads (commands and rules), downloads_desk (widgets), downloads_year (chart)
03 event store on Cassandra   cassandra, commit_log (kill -9)
04 query first                relations, query_first, evening (a model), dead_process, cassandra (for its node)
05 versioned serializer       serializer
09 first two designs          weights, search_copies, search_desk, drift, drift_on_cassandra, parted (both), one_site
exercises                     exercises/, a module for each lesson
"""
