/* bench/nothing.c - the smallest workload: a static program that ends at once, so that a launch measures the boundary and nothing else. */
int main(void)
{
    return 0;
}
