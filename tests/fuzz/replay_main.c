/* Replays a corpus through a fuzz target without libFuzzer, so that every compiler and preset runs it as a
 * test. Each argument is a file or a folder of files (not deeper); each file is given to the target once,
 * from a block of exactly its size, so that a sanitizer sees a read past the end. An empty or missing corpus
 * is an error: a test that had nothing to do must not look like one that passed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "cannot read %s\n", path);
        return -1;
    }
    struct stat st;
    uint8_t *data = NULL;
    int count = -1;
    if (fstat(fileno(f), &st) != 0)
        goto done;
    size_t size = (size_t)st.st_size;
    data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, f) != size)
        goto done;
    LLVMFuzzerTestOneInput(data, size);
    count = 1;
done:
    if (count < 0)
        fprintf(stderr, "cannot read %s\n", path);
    free(data);
    fclose(f);
    return count;
}

static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return replay_file(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && count >= 0;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        int one = replay_file(path);
        count = one < 0 ? -1 : count + one;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);
        if (count < 0)
            return 1;
        total += count;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
