import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Loading the CDK takes longer than most tests, so the files share it. No test changes what is shared.
    isolate: false,
    // Synthesising a stack takes seconds, and much longer on a machine that does other work too.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
