import { tables } from './table';

console.log(tables());
