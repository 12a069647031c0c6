/* A program that traces: it steps through a child of its own, and checks that nobody traces it; or it
 * takes a process, and keeps it.
 *
 *     traces [PID]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned long spun;

int main(int count, char **words)
{
    int status;
    long steps = 0;
    pid_t child;
    if (count > 1) {
        puts(ptrace(PTRACE_SEIZE, atoi(words[1]), 0, 0) ? "refused" : "traced");
        fflush(stdout);
        for (;;)
            pause();
    }
    child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0))
            _exit(1);
        raise(SIGSTOP);
        _exit(21);
    }
    waitpid(child, &status, 0);
    printf("stopped %d\n", WIFSTOPPED(status));
    while (WIFSTOPPED(status) && steps < 5) {
        steps += ptrace(PTRACE_SINGLESTEP, child, 0, 0) == 0;
        waitpid(child, &status, 0);
    }
    ptrace(PTRACE_CONT, child, 0, 0);
    waitpid(child, &status, 0);
    printf("%ld steps, end %x\n", steps, status);
    for (unsigned long step = 0; step < 50000000; step++)
        spun++;
    printf("traced %d\n", ptrace(PTRACE_TRACEME, 0, 0, 0) != 0);
    return 11;
}
