/* What holds a pod's namespaces: it waits, reaps, and ends when it is told to. */
#include <signal.h>
#include <unistd.h>

static void end(int number) {
    (void)number;
    _exit(0);
}

int main(void) {
    signal(SIGINT, end);
    signal(SIGTERM, end);
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps for those who ignore this one */
    for (;;)
        pause();
}
