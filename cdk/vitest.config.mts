import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Synthesising a stack takes seconds, and much longer on a machine that does other work too.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
