#pragma once

/* Memory that is not needed any more, after the start and after any work: free pages of the heap,
 * and those of pages_release(). Some 100 us, and some page faults afterwards. */
void pages_rest(void);

/* Unmaps those pages of the program and its libraries that nobody has written to: code, constants,
 * symbol tables. What is used again comes back from the page cache by itself, what only the start
 * has used does not. Does nothing while somebody traces the process. */
void pages_release(void);
