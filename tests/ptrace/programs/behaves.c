/* Does something that a tracer could disturb, and says what it saw.
 *
 *     behaves MODE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long spun;
static int *volatile nowhere;

static void spin(unsigned long steps)
{
    for (unsigned long step = 0; step < steps; step++)
        spun++;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void say(const char *text)
{
    puts(text);
    fflush(stdout);
}

/* Whatever waits is woken by nothing but what it waits for: EINTR is an error. */

static int interrupted;
static const struct timespec SHORT = { 0, 200000 };

static void check(int answer)
{
    if (answer < 0 && errno == EINTR)
        __atomic_add_fetch(&interrupted, 1, __ATOMIC_RELAXED);
}

static void sleep_(void) { check(nanosleep(&SHORT, NULL)); }
static void clock_sleep(void)
{
    errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &SHORT, NULL);
    check(errno ? -1 : 0);
}
static void select_(void)
{
    struct timeval time = { 0, 200 };
    check(select(0, NULL, NULL, NULL, &time));
}
static void poll_(void) { check(poll(NULL, 0, 1)); }
static void epoll(void)
{
    static _Thread_local int file;
    struct epoll_event event;
    if (file == 0)
        file = epoll_create1(EPOLL_CLOEXEC);
    check(epoll_wait(file, &event, 1, 1));
}
static void futex(void)
{
    static int word;
    check(syscall(SYS_futex, &word, 0, 0, &SHORT, NULL, 0) ? -1 : 0);
}
static void signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    check(sigtimedwait(&set, NULL, &SHORT));
}

static void (*const WAITS[])(void) = { sleep_, clock_sleep, select_, poll_, epoll, futex, signals };
#define WAIT_COUNT (sizeof WAITS / sizeof *WAITS)

static double until;

static void *wait_often(void *wait)
{
    unsigned seed = (unsigned)(size_t)wait;
    while (now() < until) {
        (*(void (*const *)(void))wait)();
        spin(rand_r(&seed) % 100000);
    }
    return NULL;
}

static int waits(void)
{
    pthread_t threads[WAIT_COUNT];
    until = now() + 1.5;
    for (size_t at = 0; at < WAIT_COUNT; at++)
        pthread_create(&threads[at], NULL, wait_often, (void *)&WAITS[at]);
    for (size_t at = 0; at < WAIT_COUNT; at++)
        pthread_join(threads[at], NULL);
    printf("%d calls were interrupted\n", interrupted);
    return 0;
}

/* Children end, and nobody asked to be told: SIGCHLD is ignored by default. */
static int ignores(void)
{
    int ends[2], answer;
    char byte;
    struct epoll_event event = { .events = EPOLLIN };
    int file = epoll_create1(EPOLL_CLOEXEC);
    if (pipe(ends))
        return 125;
    epoll_ctl(file, EPOLL_CTL_ADD, ends[0], &event);
    for (int at = 0; at < 50; at++) {
        pid_t child = fork();
        if (child == 0) {
            /* One that ends at once, while the first process is in its call, wakes nobody. */
            usleep(1000);
            if (fork() == 0) {
                usleep(3000);
                _exit(write(ends[1], "", 1) != 1);
            }
            _exit(0);
        }
        check(answer = epoll_wait(file, &event, 1, -1));
        if (answer == 1 && read(ends[0], &byte, 1) != 1)
            return 125;
        waitpid(child, NULL, 0);
        spin(100000);
    }
    printf("%d calls were interrupted\n", interrupted);
    return 0;
}

/* Signals come as often as they are sent, with what their sender said. */

static volatile sig_atomic_t count, wrong;
static volatile long sum;

static void queued(int number, siginfo_t *information, void *context)
{
    (void)context;
    count++;
    sum += information->si_value.sival_int;
    wrong |= number != SIGRTMIN || information->si_code != SI_QUEUE || information->si_pid != getpid()
        || information->si_uid != getuid();
}

static void rang(int number, siginfo_t *information, void *context)
{
    (void)context;
    count++;
    wrong |= number != SIGALRM || information->si_code != SI_KERNEL;
}

static int handles(void)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO };
    action.sa_sigaction = queued;
    sigaction(SIGRTMIN, &action, NULL);
    for (int at = 0; at < 3000; at++) {
        union sigval value = { .sival_int = at };
        sigqueue(getpid(), SIGRTMIN, value);
        spin(10000);
    }
    printf("%d queued, sum %ld, wrong %d\n", count, sum, wrong);
    count = wrong = 0;
    action.sa_sigaction = rang;
    action.sa_flags |= SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = { { 0, 2000 }, { 0, 2000 } };
    setitimer(ITIMER_REAL, &timer, NULL);
    int slept = 0;
    while (count < 200) {
        /* A handler that runs interrupts this call, restart or not. */
        struct epoll_event event;
        int file = epoll_create1(0);
        slept += epoll_wait(file, &event, 1, 1000) == -1 && errno == EINTR;
        close(file);
        spin(200000);
    }
    timer.it_value.tv_usec = 0;
    setitimer(ITIMER_REAL, &timer, NULL);
    printf("200 alarms, wrong %d, some interrupted %d\n", wrong, slept > 0);
    return 0;
}

/* Threads that hardly live. */

static atomic_int lived;

static void *live(void *steps)
{
    spin((unsigned long)steps);
    atomic_fetch_add(&lived, 1);
    return NULL;
}

static int threads(void)
{
    for (unsigned long at = 0; at < 2000; at += 4) {
        pthread_t some[4];
        for (unsigned long one = 0; one < 4; one++)
            if (pthread_create(&some[one], NULL, live, (void *)(at * 5)))
                return 125;
        for (int one = 0; one < 4; one++)
            pthread_join(some[one], NULL);
    }
    printf("%d threads have lived\n", lived);
    return 0;
}

/* Processes in all ways, and what their parent learns of each end. */

static void tell(pid_t child, const char *how)
{
    int status = 0;
    int answer = waitpid(child, &status, 0) == child;
    printf("%s: %d %x core %d\n", how, answer, status, WIFSIGNALED(status) && WCOREDUMP(status));
    fflush(stdout);
}

static int families(void)
{
    /* Where the system writes them to files, in the working directory. */
    struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
    setrlimit(RLIMIT_CORE, &all);
    for (int at = 0; at < 100; at++) {
        pid_t child = fork();
        if (child == 0) {
            spin(1000 * at);
            _exit(at);
        }
        tell(child, "fork");
    }
    for (int at = 0; at < 20; at++) {
        pid_t child = vfork();
        if (child == 0) {
            execl("/bin/sh", "sh", "-c", "exit 3", (char *)NULL);
            _exit(127);
        }
        tell(child, "vfork");
    }
    for (int number = 1; number < 16; number++) {
        pid_t child = fork();
        if (child == 0) {
            if (number == SIGABRT)
                abort();
            raise(number);
            _exit(0);
        }
        tell(child, "signal");
    }
    printf("shell %x\n", system("sleep 0.1 & true | sh -c 'kill -9 $$'; exit 5"));
    return 0;
}

/* A process that stops, and is continued. */
static int stops(void)
{
    for (int at = 0; at < 20; at++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            spin(1000000);
            raise(SIGSTOP);
            spin(1000000);
            raise(SIGSTOP);
            _exit(7);
        }
        for (int turn = 0; turn < 2; turn++) {
            waitpid(child, &status, WUNTRACED);
            printf("stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status));
            usleep(2000);
            printf("still %d\n", waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG));
            kill(child, SIGCONT);
            if (turn == 0) {
                waitpid(child, &status, WCONTINUED);
                printf("continued %d\n", WIFCONTINUED(status));
            }
        }
        waitpid(child, &status, 0);
        printf("exit %d\n", WEXITSTATUS(status));
    }
    return 0;
}

/* A thread that is not the first becomes another program, whose process is the same. */

static char own[16];

static void *become(void *program)
{
    spin(3000000);
    sprintf(own, "%d", getpid());
    execl(program, program, "became", own, (char *)NULL);
    return NULL;
}

static int becomes(char *program)
{
    pthread_t busy, thread;
    pthread_create(&busy, NULL, live, (void *)~0UL);
    pthread_create(&thread, NULL, become, program);
    pthread_join(busy, NULL);
    return 125;
}

int main(int count_, char **words)
{
    const char *mode = count_ > 1 ? words[1] : "";
    say(mode);
    if (!strcmp(mode, "spin"))
        for (;;)
            spin(1000);
    spin(20000000);
    if (!strcmp(mode, "crash"))
        *nowhere = 1;
    if (!strcmp(mode, "abort"))
        abort();
    if (!strcmp(mode, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(mode, "stop-self")) {
        if (fork() == 0) {
            usleep(300000);
            kill(getppid(), SIGCONT);
            _exit(0);
        }
        raise(SIGSTOP);
        say("continued");
        return 4;
    }
    if (!strcmp(mode, "waits"))
        return waits();
    if (!strcmp(mode, "ignores"))
        return ignores();
    if (!strcmp(mode, "handles"))
        return handles();
    if (!strcmp(mode, "threads"))
        return threads();
    if (!strcmp(mode, "families"))
        return families();
    if (!strcmp(mode, "stops"))
        return stops();
    if (!strcmp(mode, "becomes"))
        return becomes(words[0]);
    if (!strcmp(mode, "became")) {
        pid_t child = fork();
        if (child == 0)
            _exit(9);
        tell(child, "child");
        printf("the same process %d\n", count_ == 3 && atoi(words[2]) == getpid());
        return 6;
    }
    return 125;
}
