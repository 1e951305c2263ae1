/** The option table as text for people; a test pins it for each process. */
import { unreachable } from '../base/assert.ts';
import { envNameOf, type OptionSpec, type OptionTable } from './option-table.ts';

/** One paragraph an option: its name and what it does, then its form and default. */
export function formatHelp(table: OptionTable): string {
  const paragraphs = Object.entries(table).map(([option, spec]) => {
    return `${envNameOf(option)}\n    ${spec.help}\n    ${describeForm(spec)}\n`;
  });
  return paragraphs.join('\n');
}

function describeForm(spec: OptionSpec): string {
  switch (spec.kind) {
    case 'integer': {
      const unit = spec.unit === undefined ? '' : ` ${spec.unit}`;
      return `integer, ${spec.min} to ${spec.max}${unit}${describeDefault(spec.default)}`;
    }
    case 'text':
      return `${spec.form ?? 'text'}${describeDefault(spec.default)}`;
    case 'path':
      return `path${describeDefault(spec.default)}`;
    case 'choice':
      return `one of ${spec.choices.join(', ')}${describeDefault(spec.default)}`;
    case 'secret':
      return `secret, at least ${spec.min} characters, in the env file only${spec.optional ? '; optional' : ''}`;
    default:
      return unreachable(spec);
  }
}

function describeDefault(value: string | number | undefined): string {
  return value === undefined ? '; must be set' : `; default ${value}`;
}
