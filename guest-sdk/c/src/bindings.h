/* Included before the generated bindings: they are compiled with a `free` that does nothing, as all that they would
 * free is memory of the running event. */
#include <stdlib.h>
void ew_free_nothing(void *ptr);
