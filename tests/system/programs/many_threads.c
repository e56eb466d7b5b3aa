// As many threads at once as the argument says, each with a stack of 8 MiB of which it uses a part.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int here, all;
static long sum;

static long use_stack(long number, long depth) {
    volatile char bytes[3000];
    memset((char*)bytes, (int)number, sizeof bytes);
    const long below = depth == 0 ? 0 : use_stack(number, depth - 1);
    return below + (bytes[0] == (char)number && bytes[sizeof bytes - 1] == (char)number);
}

static void* meet(void* argument) {
    const long used = use_stack((long)argument, (long)argument % 10);
    pthread_mutex_lock(&mutex);
    sum += used;
    if (++here == all) {
        pthread_cond_broadcast(&changed);
    }
    while (here != all) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    return argument;
}

int main(int argc, char** argv) {
    all = argc > 1 ? atoi(argv[1]) : 1000;
    pthread_t* threads = calloc((size_t)all, sizeof *threads);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8 << 20);
    for (long i = 0; i < all; ++i) {
        const int error = pthread_create(&threads[i], &attributes, meet, (void*)i);
        if (error != 0) {
            printf("thread %ld: %s\n", i, strerror(error));
            return 1;
        }
    }
    long wrong = 0;
    for (long i = 0; i < all; ++i) {
        void* result = NULL;
        wrong += pthread_join(threads[i], &result) != 0 || result != (void*)i;
    }
    printf("%d threads, stacks used %ld, wrong %ld\n", all, sum, wrong);
    return 0;
}
